"""The same facts as series of numbers, in the text form that Prometheus reads."""
