# Every design is planned and applied against a provider that makes everything up:
# what is tested is the configuration, not AWS. The packages are any files.

mock_provider "aws" {
  mock_resource "aws_appsync_graphql_api" {
    defaults = {
      uris = {
        GRAPHQL  = "https://api.example.com/graphql"
        REALTIME = "wss://api.example.com/graphql"
      }
    }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      api_endpoint  = "wss://abc.execute-api.us-east-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:us-east-1:123456789012:abc"
    }
  }
  mock_resource "aws_cloudformation_stack" {
    defaults = {
      outputs = {
        BotId    = "ABCDEFGHIJ"
        AliasId  = "TSTALIASID"
        AliasArn = "arn:aws:lex:us-east-1:123456789012:bot-alias/ABCDEFGHIJ/TSTALIASID"
      }
    }
  }
}

variables {
  packages       = "tests/packages"
  designs        = ["appsync", "websocket", "function-url", "lex"]
  api_key_hashes = ["sha256:00"]
}

run "everything" {
  assert {
    condition     = output.graphql_url == "https://api.example.com/graphql" && output.graphql_api_key != null
    error_message = "The API has a URL and a key."
  }
  assert {
    condition     = output.websocket_url == "wss://abc.execute-api.us-east-1.amazonaws.com/prod"
    error_message = "The stage is in the URL."
  }
  assert {
    condition     = module.appsync[0].realtime_url == "wss://api.example.com/graphql" && output.lex_bot_id == "ABCDEFGHIJ"
    error_message = "The other outputs are there."
  }
}

run "tokens_in_a_queue_for_users_of_cognito" {
  variables {
    designs                = ["appsync"]
    appsync_mutation       = "publishToken"
    appsync_queue          = "sqs"
    appsync_authentication = "AMAZON_COGNITO_USER_POOLS"
    appsync_user_pool_id   = "us-east-1_Ab12Cd34E"
    appsync_private        = true
  }
  assert {
    condition     = output.graphql_api_key == null && output.websocket_url == null
    error_message = "There is nothing that was not asked for."
  }
}

run "chunks_for_signed_requests" {
  variables {
    designs                = ["appsync"]
    appsync_mutation       = "sendChunk"
    appsync_authentication = "AWS_IAM"
  }
}

run "without_a_model_in_a_vpc" {
  variables {
    model = "echo?tokens=20"
    vpc = {
      id                 = "vpc-1"
      subnet_ids         = ["subnet-1", "subnet-2"]
      security_group_ids = ["sg-1"]
      endpoints          = true
    }
    function_url_authentication = "TOKEN"
    function_url_origins        = ["https://chat.example.com"]
    websocket_authentication    = "AWS_IAM"
  }
}

run "cognito_without_a_pool" {
  command = plan
  module {
    source = "./modules/appsync"
  }
  variables {
    name           = "x"
    common         = { packages = "tests/packages", log_retention_days = 14, alarm_topic_arns = [] }
    model          = { name = "echo", arns = [], system = "" }
    mutation       = "sendMessage"
    queue          = "sns"
    authentication = "AMAZON_COGNITO_USER_POOLS"
  }
  expect_failures = [var.user_pool_id]
}

run "tokens_of_nobody" {
  command = plan
  module {
    source = "./modules/websocket"
  }
  variables {
    name           = "x"
    common         = { packages = "tests/packages", log_retention_days = 14, alarm_topic_arns = [] }
    model          = { name = "echo", arns = [], system = "" }
    authentication = "TOKEN"
  }
  expect_failures = [var.callers]
}

run "a_url_for_everybody" {
  command = plan
  module {
    source = "./modules/function-url"
  }
  variables {
    name           = "x"
    common         = { packages = "tests/packages", log_retention_days = 14, alarm_topic_arns = [] }
    model          = { name = "echo", arns = [], system = "" }
    authentication = "NONE"
  }
  expect_failures = [var.authentication]
}

run "unknown_words" {
  command = plan
  variables {
    name       = "Runnel!"
    designs    = ["appsink"]
    model      = "openai/gpt"
    model_arns = ["*"]
  }
  expect_failures = [var.name, var.designs, var.model, var.model_arns]
}
