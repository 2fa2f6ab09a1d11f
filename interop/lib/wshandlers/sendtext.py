"""A handler in the manner of the seed that sends every fragment as a JSON string: one process, all four routes."""
import json
import os

import boto3

ENDPOINT = f"{os.environ['API_ENDPOINT']}/{os.environ['STAGE']}"
bedrock = boto3.client('bedrock-runtime', endpoint_url=os.environ['ENDPOINT_URL'])
connections = boto3.client('apigatewaymanagementapi', endpoint_url=ENDPOINT)


def lambda_handler(event, context):
    route = event['requestContext']['routeKey']
    if route in ('$connect', '$disconnect'):
        return {'statusCode': 200}
    if route != 'sendtext':
        return {'statusCode': 400, 'body': 'unknown route'}
    try:
        return send_text(event['requestContext']['connectionId'], json.loads(event['body'])['text'])
    except Exception as error:
        return {'statusCode': 500, 'body': str(error)}


def send_text(connection_id, text):
    body = {
        'anthropic_version': 'bedrock-2023-05-31',
        'max_tokens': 1024,
        'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': text}]}],
    }
    response = bedrock.invoke_model_with_response_stream(
        modelId=os.environ['MODEL_ID'], body=json.dumps(body), accept='application/json', contentType='application/json'
    )
    for item in response['body']:
        chunk = json.loads(item['chunk']['bytes'])
        if chunk['type'] == 'content_block_delta' and chunk['delta']['type'] == 'text_delta':
            connections.post_to_connection(ConnectionId=connection_id, Data=json.dumps(chunk['delta']['text']))
    return {'statusCode': 200}
