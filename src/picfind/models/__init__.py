"""Looking after models: pull.py (from the hub), check.py (is a folder whole), fit_joint.py (two into one, with a PCA)."""
