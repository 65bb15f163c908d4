"""Everything between API Gateway and a use case: requests, parameters, responses and problems."""
