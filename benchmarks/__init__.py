"""Training throughput of both engines beside other programs, as ratios measured in one run."""
