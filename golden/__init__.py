"""The golden model: integer control (digital), physics (analog), whole networks (training)."""
