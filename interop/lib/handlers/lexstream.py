"""A fulfillment for Lex as people wrote it for AWS: it streams what Claude says
to the WebSocket of the session, which a table leads to, and then returns all of
it as the message."""

import json
import os

import boto3


def ask(text):
    return {
        "modelId": "anthropic.claude-instant-v1",
        "body": json.dumps({"prompt": f"Human: {text}Assistant:", "max_tokens_to_sample": 500}),
    }


def stream(bedrock, text, connection_id, gateway):
    whole = ""
    for event in bedrock.invoke_model_with_response_stream(**ask(text))["body"]:
        piece = json.loads(event["chunk"]["bytes"])["completion"]
        whole += piece
        if piece:
            try:
                gateway.post_to_connection(ConnectionId=connection_id, Data=piece)
            except gateway.exceptions.GoneException:
                print("the tab was closed", flush=True)  # the answer goes on
    return whole


def handler(event, context):
    attributes = event["sessionState"]["sessionAttributes"]
    text = event["inputTranscript"]
    bedrock = boto3.client("bedrock-runtime", endpoint_url=os.environ["ENDPOINT_URL"])
    if "streamingDynamoDbTable" in attributes and "streamingEndpoint" in attributes:
        table = boto3.resource("dynamodb", endpoint_url=os.environ["ENDPOINT_URL"]).Table(attributes["streamingDynamoDbTable"])
        connection_id = table.get_item(Key={"sessionId": event["sessionId"]})["Item"]["connectionId"]
        gateway = boto3.client("apigatewaymanagementapi", endpoint_url=attributes["streamingEndpoint"])
        whole = stream(bedrock, text, connection_id, gateway)
    else:
        whole = json.loads(bedrock.invoke_model(**ask(text))["body"].read())["completion"]
    intent = event["sessionState"]["intent"]
    return {
        "sessionState": {"dialogAction": {"type": "Close"}, "intent": {"name": intent["name"], "state": "Fulfilled"}},
        "messages": [{"contentType": "CustomPayload", "content": "**Claude:** " + whole}],
        "sessionId": event["sessionId"],
        "requestAttributes": None,
    }
