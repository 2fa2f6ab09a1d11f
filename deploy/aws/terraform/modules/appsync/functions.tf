module "datasource" {
  source = "../function"

  name    = "${var.name}-datasource"
  package = "${var.common.packages}/datasource.zip"
  common  = var.common
  timeout = 10
  policy  = data.aws_iam_policy_document.datasource.json
  environment = var.queue == "sns" ? {
    TOPIC_ARN = aws_sns_topic.prompts[0].arn
    } : {
    QUEUE_URL = aws_sqs_queue.prompts[0].url
  }
}

data "aws_iam_policy_document" "datasource" {
  statement {
    actions   = var.queue == "sns" ? ["sns:Publish"] : ["sqs:SendMessage"]
    resources = [var.queue == "sns" ? aws_sns_topic.prompts[0].arn : aws_sqs_queue.prompts[0].arn]
  }
}

module "orchestrator" {
  source = "../function"

  name    = "${var.name}-orchestrator"
  package = "${var.common.packages}/orchestrator.zip"
  common  = var.common
  timeout = var.timeout
  policy  = data.aws_iam_policy_document.orchestrator.json
  environment = merge({
    APPSYNC_GRAPHQL_ENDPOINT = aws_appsync_graphql_api.this.uris["GRAPHQL"]
    MODEL                    = var.model.name
    SYSTEM_PROMPT            = var.model.system
    GROUP_SIZE               = var.mutation == "sendMessage" ? "6" : "1"
  }, var.ledger ? { LEDGER_TABLE = aws_dynamodb_table.ledger[0].name } : {})
}

data "aws_iam_policy_document" "orchestrator" {
  statement {
    actions   = ["appsync:GraphQL"]
    resources = ["${aws_appsync_graphql_api.this.arn}/types/Mutation/fields/${var.mutation}"]
  }
  dynamic "statement" {
    for_each = var.queue == "sns" ? [aws_sqs_queue.dead.arn] : [] # SQS does it itself
    content {
      actions   = ["sqs:SendMessage"]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = length(var.model.arns) > 0 ? [var.model.arns] : []
    content {
      actions   = ["bedrock:InvokeModelWithResponseStream"]
      resources = statement.value
    }
  }
  dynamic "statement" {
    for_each = aws_dynamodb_table.ledger
    content {
      actions   = ["dynamodb:PutItem"]
      resources = [statement.value.arn]
    }
  }
  dynamic "statement" {
    for_each = aws_sqs_queue.prompts
    content {
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = [statement.value.arn]
    }
  }
}

resource "aws_dynamodb_table" "ledger" {
  count        = var.ledger ? 1 : 0
  name         = "${var.name}-ledger"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  attribute {
    name = "id"
    type = "S"
  }

  ttl {
    enabled        = true
    attribute_name = "ttl"
  }
}
