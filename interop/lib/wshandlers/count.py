"""A handler that posts as many tokens as it is asked for, one by one."""
import json
import os

import boto3

connections = boto3.client('apigatewaymanagementapi', endpoint_url=f"{os.environ['API_ENDPOINT']}/{os.environ['STAGE']}")


def lambda_handler(event, context):
    for n in range(json.loads(event['body'])['n']):
        connections.post_to_connection(ConnectionId=event['requestContext']['connectionId'], Data=f'token {n}'.encode())
    return {'statusCode': 200}
