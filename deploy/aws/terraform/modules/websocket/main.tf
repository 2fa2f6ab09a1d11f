data "aws_region" "current" {}
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  routes = toset(["$connect", "$disconnect", "$default", "sendtext", "stream", "sendMessage"])
  # Known before the function is, which calls itself.
  self = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:function:${var.name}"
}

resource "aws_apigatewayv2_api" "this" {
  name                       = var.name
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = var.stage
  auto_deploy = true
  default_route_settings {
    throttling_rate_limit  = var.rate
    throttling_burst_limit = ceil(var.rate / 2)
  }
}

resource "aws_apigatewayv2_integration" "function" {
  api_id           = aws_apigatewayv2_api.this.id
  integration_type = "AWS_PROXY"
  integration_uri  = module.function.invoke_arn
}

resource "aws_apigatewayv2_route" "function" {
  for_each           = local.routes
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.function.id}"
  authorization_type = each.key != "$connect" ? "NONE" : var.authentication == "TOKEN" ? "CUSTOM" : var.authentication
  authorizer_id      = each.key == "$connect" ? one(aws_apigatewayv2_authorizer.token[*].id) : null
}

# A sign of life, which is answered by nothing.
resource "aws_apigatewayv2_integration" "ping" {
  api_id                        = aws_apigatewayv2_api.this.id
  integration_type              = "MOCK"
  template_selection_expression = "200"
  request_templates             = { "200" = jsonencode({ statusCode = 200 }) }
}

resource "aws_apigatewayv2_route" "ping" {
  api_id             = aws_apigatewayv2_api.this.id
  route_key          = "ping"
  target             = "integrations/${aws_apigatewayv2_integration.ping.id}"
  authorization_type = "NONE"
}

module "function" {
  source = "../function"

  name    = var.name
  package = "${var.common.packages}/websocket.zip"
  common  = var.common
  timeout = var.timeout
  policy  = data.aws_iam_policy_document.function.json
  environment = merge({
    MODEL         = var.model.name
    SYSTEM_PROMPT = var.model.system
    DETACH        = "true"
  }, var.table == null ? {} : { CONNECTIONS_TABLE = var.table.name })
}

data "aws_iam_policy_document" "function" {
  statement {
    actions   = ["execute-api:ManageConnections"]
    resources = ["${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/POST/@connections/*"]
  }
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [local.self]
  }
  dynamic "statement" {
    for_each = length(var.model.arns) > 0 ? [var.model.arns] : []
    content {
      actions   = ["bedrock:InvokeModelWithResponseStream"]
      resources = statement.value
    }
  }
  dynamic "statement" {
    for_each = var.table[*]
    content {
      actions   = ["dynamodb:PutItem"]
      resources = [statement.value.arn]
    }
  }
}

# Who has had half an answer is not served by another one.
resource "aws_lambda_function_event_invoke_config" "function" {
  function_name                = module.function.name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_lambda_permission" "api" {
  action        = "lambda:InvokeFunction"
  function_name = module.function.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/*"
}

module "authorizer" {
  source = "../function"
  count  = var.authentication == "TOKEN" ? 1 : 0

  name       = "${var.name}-authorizer"
  package    = "${var.common.packages}/authorizer.zip"
  common     = var.common
  timeout    = 10
  has_policy = false
  environment = {
    ISSUER         = var.callers.issuer
    CLIENT_IDS     = join(",", var.callers.client_ids)
    API_KEY_HASHES = join(",", var.callers.api_key_hashes)
  }
}

resource "aws_apigatewayv2_authorizer" "token" {
  count            = var.authentication == "TOKEN" ? 1 : 0
  api_id           = aws_apigatewayv2_api.this.id
  name             = "token"
  authorizer_type  = "REQUEST"
  authorizer_uri   = module.authorizer[0].invoke_arn
  identity_sources = ["route.request.querystring.token"]
}

resource "aws_lambda_permission" "authorizer" {
  count         = var.authentication == "TOKEN" ? 1 : 0
  action        = "lambda:InvokeFunction"
  function_name = module.authorizer[0].name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.token[0].id}"
}
