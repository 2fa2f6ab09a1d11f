data "aws_region" "current" {}

locals {
  # The field that takes prompts, by the mutation that answers them.
  asks = {
    sendMessage  = { type = "Query", field = "getLlmResponse" }
    sendChunk    = { type = "Mutation", field = "ModelSet" }
    publishToken = { type = "Mutation", field = "startStream" }
  }
  ask = local.asks[var.mutation]
  client = {
    API_KEY                   = "@aws_api_key"
    AMAZON_COGNITO_USER_POOLS = "@aws_cognito_user_pools"
    AWS_IAM                   = "@aws_iam"
  }[var.authentication]
}

resource "aws_appsync_graphql_api" "this" {
  name                = var.name
  authentication_type = var.authentication
  visibility          = var.private ? "PRIVATE" : "GLOBAL"
  schema = templatefile("${path.module}/schemas/${var.mutation}.graphql", {
    client = local.client
    both   = join(" ", distinct([local.client, "@aws_iam"]))
  })

  dynamic "user_pool_config" {
    for_each = var.authentication == "AMAZON_COGNITO_USER_POOLS" ? [var.user_pool_id] : []
    content {
      user_pool_id   = user_pool_config.value
      default_action = "ALLOW"
    }
  }

  dynamic "additional_authentication_provider" {
    for_each = var.authentication == "AWS_IAM" ? [] : ["AWS_IAM"] # of the orchestrator
    content {
      authentication_type = additional_authentication_provider.value
    }
  }

  log_config {
    cloudwatch_logs_role_arn = aws_iam_role.appsync.arn
    field_log_level          = "ERROR"
    exclude_verbose_content  = true # it would have prompts and answers
  }
}

resource "aws_appsync_api_key" "this" {
  count   = var.authentication == "API_KEY" ? 1 : 0
  api_id  = aws_appsync_graphql_api.this.id
  expires = var.api_key_expires
}

resource "aws_cloudwatch_log_group" "appsync" {
  name              = "/aws/appsync/apis/${aws_appsync_graphql_api.this.id}"
  retention_in_days = var.common.log_retention_days
}

resource "aws_appsync_datasource" "prompts" {
  api_id           = aws_appsync_graphql_api.this.id
  name             = "prompts"
  type             = "AWS_LAMBDA"
  service_role_arn = aws_iam_role.appsync.arn
  lambda_config {
    function_arn = module.datasource.arn
  }
}

# Without code the function gets the event of a direct resolver.
resource "aws_appsync_resolver" "ask" {
  api_id      = aws_appsync_graphql_api.this.id
  type        = local.ask.type
  field       = local.ask.field
  kind        = "UNIT"
  data_source = aws_appsync_datasource.prompts.name
}

resource "aws_appsync_datasource" "none" {
  api_id = aws_appsync_graphql_api.this.id
  name   = "none"
  type   = "NONE"
}

resource "aws_appsync_resolver" "publish" {
  api_id      = aws_appsync_graphql_api.this.id
  type        = "Mutation"
  field       = var.mutation
  kind        = "UNIT"
  data_source = aws_appsync_datasource.none.name
  code        = file("${path.module}/resolvers/${var.mutation}.js")
  runtime {
    name            = "APPSYNC_JS"
    runtime_version = "1.0.0"
  }
}

# AppSync calls the data source, and writes its log.
data "aws_iam_policy_document" "appsync_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["appsync.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "appsync" {
  name               = "${var.name}-api"
  assume_role_policy = data.aws_iam_policy_document.appsync_assume.json
}

data "aws_iam_policy_document" "appsync" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [module.datasource.arn]
  }
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.appsync.arn}:*"]
  }
}

resource "aws_iam_role_policy" "appsync" {
  name   = "own"
  role   = aws_iam_role.appsync.id
  policy = data.aws_iam_policy_document.appsync.json
}
