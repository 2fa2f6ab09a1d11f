"""boto3's ApiGatewayManagementApi, as connections.mjs asks for it: a line of JSON in, a line of JSON out."""
import json
import sys

import boto3
from botocore.config import Config

for line in sys.stdin:
    request = json.loads(line)
    access, secret = request['credentials']
    client = boto3.client(
        'apigatewaymanagementapi',
        endpoint_url=request['endpoint'],
        region_name='us-east-1',
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=Config(retries={'total_max_attempts': request.get('attempts', 5)}),
    )
    try:
        answer = getattr(client, request['operation'])(**request['arguments'])
        result = {'status': answer['ResponseMetadata']['HTTPStatusCode']}
        for name in ('ConnectedAt', 'LastActiveAt'):
            if name in answer:
                result[name] = answer[name].timestamp()
        if 'Identity' in answer:
            result['SourceIp'] = answer['Identity']['SourceIp']
    except client.exceptions.GoneException as error:
        result = {'gone': error.response['ResponseMetadata']['HTTPStatusCode']}
    except client.exceptions.ClientError as error:
        result = {'code': error.response['Error']['Code'], 'status': error.response['ResponseMetadata']['HTTPStatusCode']}
    print(json.dumps(result), flush=True)
