"""A simulator of whole campaigns that drives the shipped gate."""
