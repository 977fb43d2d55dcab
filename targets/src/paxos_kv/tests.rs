//! Replicas step by step.
