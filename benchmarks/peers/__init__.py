"""One small module for each job system that is measured, all speaking the same protocol."""
