"""Tests of the pools. A package, so that its helpers can be imported as tests.client.pool."""
