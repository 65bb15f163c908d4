"""Data contracts at build time: reads `contracts/*.odcs.yaml`, checks them, and compiles them for the layer.

The files are of the Open Data Contract Standard v3.1. What runs is `contracts.json` and `expectations.json` of
`layers/common/dropzone`, so that neither YAML nor the standard's library is needed on Lambda.
"""
