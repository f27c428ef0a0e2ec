"""Weights as a service: a learner publishes versions, actors hear of them and fetch them."""
