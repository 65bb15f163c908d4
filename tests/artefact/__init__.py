"""What `sam build` made, run by AWS's own runtime client under AWS's own emulator of Lambda's runtime interface."""
