module "function" {
  source = "../function"

  name       = var.name
  package    = "${var.common.packages}/url.zip"
  common     = var.common
  timeout    = var.timeout
  has_policy = length(var.model.arns) > 0
  policy     = one(data.aws_iam_policy_document.function[*].json)
  environment = merge({
    MODEL         = var.model.name
    SYSTEM_PROMPT = var.model.system
    }, var.authentication != "TOKEN" ? {} : {
    ISSUER         = var.callers.issuer
    CLIENT_IDS     = join(",", var.callers.client_ids)
    API_KEY_HASHES = join(",", var.callers.api_key_hashes)
  })
}

data "aws_iam_policy_document" "function" {
  count = length(var.model.arns) > 0 ? 1 : 0
  statement {
    actions   = ["bedrock:InvokeModelWithResponseStream"]
    resources = var.model.arns
  }
}

resource "aws_lambda_function_url" "this" {
  function_name      = module.function.name
  authorization_type = var.authentication == "TOKEN" ? "NONE" : "AWS_IAM"
  invoke_mode        = "RESPONSE_STREAM"

  dynamic "cors" {
    for_each = length(var.origins) > 0 ? [var.origins] : []
    content {
      allow_origins = cors.value
      allow_methods = ["POST"]
      allow_headers = ["authorization", "content-type", "x-api-key", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"]
      max_age       = 3600
    }
  }
}

# Lambda lets everybody through, and the function looks at the token.
resource "aws_lambda_permission" "everybody" {
  count                  = var.authentication == "TOKEN" ? 1 : 0
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = module.function.name
  principal              = "*"
  function_url_auth_type = "NONE"
}
