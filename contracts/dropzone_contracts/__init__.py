"""Data contracts at build time: reads `contracts/*.odcs.yaml`, checks them, and compiles them for the layer.

The files follow the Open Data Contract Standard v3.1. The functions read `contracts.json` and `expectations.json` in
`layers/common/dropzone`, so that neither YAML nor the standard's library is needed on Lambda.
"""
