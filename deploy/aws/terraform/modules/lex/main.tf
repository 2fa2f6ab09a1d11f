# The table of connections, which $connect writes and the fulfillment reads.
resource "aws_dynamodb_table" "connections" {
  name         = "${var.name}-streaming"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "sessionId"

  attribute {
    name = "sessionId"
    type = "S"
  }

  ttl {
    enabled        = true
    attribute_name = "ttl"
  }
}

module "websocket" {
  source = "../websocket"

  name           = "${var.name}-websocket"
  common         = var.common
  model          = var.model
  authentication = "AWS_IAM" # the UI signs its URL
  stage          = "Prod"
  table = {
    name = aws_dynamodb_table.connections.name
    arn  = aws_dynamodb_table.connections.arn
  }
}

module "fulfillment" {
  source = "../function"

  name    = "${var.name}-fulfillment"
  package = "${var.common.packages}/lex.zip"
  common  = var.common
  timeout = 30 # Lex waits no longer
  policy  = data.aws_iam_policy_document.fulfillment.json
  environment = {
    MODEL              = var.model.name
    SYSTEM_PROMPT      = var.model.system
    CONNECTIONS_TABLE  = aws_dynamodb_table.connections.name
    STREAMING_ENDPOINT = module.websocket.management_url
  }
}

data "aws_iam_policy_document" "fulfillment" {
  statement {
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.connections.arn]
  }
  statement {
    actions   = ["execute-api:ManageConnections"]
    resources = [module.websocket.connections_arn]
  }
  dynamic "statement" {
    for_each = length(var.model.arns) > 0 ? [var.model.arns] : []
    content {
      actions   = ["bedrock:InvokeModelWithResponseStream"]
      resources = statement.value
    }
  }
}

# The provider has no alias of a bot, without which no function fulfills anything.
resource "aws_cloudformation_stack" "bot" {
  name          = "${var.name}-bot"
  template_body = file("${path.module}/bot.yaml")
  parameters = {
    Name        = var.name
    RoleArn     = aws_iam_role.bot.arn
    FunctionArn = module.fulfillment.arn
    Locale      = var.locale
    Greeting    = var.greeting
  }
}

data "aws_iam_policy_document" "bot_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lexv2.amazonaws.com"]
    }
  }
}

# It allows nothing: a bot without speech needs nothing.
resource "aws_iam_role" "bot" {
  name               = "${var.name}-bot"
  assume_role_policy = data.aws_iam_policy_document.bot_assume.json
}

resource "aws_lambda_permission" "lex" {
  action        = "lambda:InvokeFunction"
  function_name = module.fulfillment.name
  principal     = "lexv2.amazonaws.com"
  source_arn    = aws_cloudformation_stack.bot.outputs["AliasArn"]
}

# What the role of the UI's identity pool needs.
data "aws_iam_policy_document" "client" {
  statement {
    actions   = ["execute-api:Invoke"]
    resources = [module.websocket.connect_arn]
  }
  statement {
    actions   = ["lex:RecognizeText", "lex:PutSession", "lex:GetSession", "lex:DeleteSession"]
    resources = [aws_cloudformation_stack.bot.outputs["AliasArn"]]
  }
}
