"""`crosstile study`: many runs of one question, in parallel, with a table, a plot and a page."""
