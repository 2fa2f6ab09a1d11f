variable "name" {
  description = "Prefix of everything that is made."
  type        = string
  default     = "runnel"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.name))
    error_message = "The name must have up to 31 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "region" {
  description = "Where to."
  type        = string
  default     = "us-east-1"
}

variable "designs" {
  description = "Which designs to deploy: appsync, websocket, function-url, lex."
  type        = set(string)
  validation {
    condition     = length(var.designs) > 0 && length(setsubtract(var.designs, ["appsync", "websocket", "function-url", "lex"])) == 0
    error_message = "The designs are appsync, websocket, function-url and lex."
  }
}

variable "packages" {
  description = "Folder with the functions' packages, as build.sh makes them."
  type        = string
  default     = "../build"
}

variable "model" {
  description = "The model, as `runnel serve --model` takes it."
  type        = string
  default     = "bedrock/anthropic.claude-3-sonnet-20240229-v1:0"
  validation {
    condition     = can(regex("^(bedrock/[^\\s]+|echo([?].*)?)$", var.model))
    error_message = "The model must begin with bedrock/, or be echo."
  }
}

variable "model_arns" {
  description = "What the functions may invoke: the model's ARN. An inference profile needs its own and those of the models behind it."
  type        = list(string)
  default     = ["arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-sonnet-20240229-v1:0"]
  validation {
    condition     = alltrue([for arn in var.model_arns : can(regex("^arn:[^*]+:bedrock:[^*]+$", arn))])
    error_message = "Models are named by ARNs of Bedrock without wildcards."
  }
}

variable "system_prompt" {
  description = "The model's instructions."
  type        = string
  default     = ""
}

# AppSync

variable "appsync_mutation" {
  description = "The mutation that answers come by, which says which of the three schemas it is: sendMessage, sendChunk or publishToken."
  type        = string
  default     = "sendMessage"
}

variable "appsync_queue" {
  description = "What is between the data source and the orchestrator: sns or sqs."
  type        = string
  default     = "sns"
}

variable "appsync_authentication" {
  description = "How clients authenticate: API_KEY, AMAZON_COGNITO_USER_POOLS or AWS_IAM."
  type        = string
  default     = "API_KEY"
}

variable "appsync_user_pool_id" {
  description = "Of Cognito, for AMAZON_COGNITO_USER_POOLS."
  type        = string
  default     = null
}

variable "appsync_api_key_expires" {
  description = "When the API key ends, as RFC 3339 has it; at most a year from now. Null: in a week."
  type        = string
  default     = null
}

variable "appsync_private" {
  description = "Whether the API can be reached from VPCs only."
  type        = bool
  default     = false
}

# WebSockets and function URLs

variable "websocket_authentication" {
  description = "Who may connect: TOKEN (see issuer and api_key_hashes), AWS_IAM or NONE."
  type        = string
  default     = "TOKEN"
}

variable "function_url_authentication" {
  description = "Who may call the function URL: AWS_IAM, or TOKEN."
  type        = string
  default     = "AWS_IAM"
}

variable "function_url_origins" {
  description = "Web origins whose pages may call the function URL."
  type        = list(string)
  default     = []
}

variable "issuer" {
  description = "An OIDC provider or Cognito user pool whose tokens are accepted, such as https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab12Cd34E."
  type        = string
  default     = ""
}

variable "client_ids" {
  description = "Of the issuer's clients."
  type        = list(string)
  default     = []
}

variable "api_key_hashes" {
  description = "Hashes of API keys, as `runnel key new` prints them."
  type        = list(string)
  default     = []
}

# Everywhere

variable "vpc" {
  description = "Where the functions run; null: in no VPC of yours. endpoints makes the endpoints that they need there."
  type = object({
    id                 = string
    subnet_ids         = list(string)
    security_group_ids = list(string)
    route_table_ids    = optional(list(string), [])
    endpoints          = optional(bool, false)
  })
  default = null
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 14
}

variable "alarm_topic_arns" {
  description = "Topics of SNS that hear of alarms."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "On everything."
  type        = map(string)
  default     = { project = "runnel" }
}
