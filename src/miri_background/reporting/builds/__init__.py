"""The page of builds: one file to link in a review, and a summary to paste."""
