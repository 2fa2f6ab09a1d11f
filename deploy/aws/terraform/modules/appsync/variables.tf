variable "name" {
  description = "Prefix of everything that is made."
  type        = string
}

variable "common" {
  description = "What all functions have: see the variables of the root module."
  type = object({
    packages           = string
    log_retention_days = number
    alarm_topic_arns   = list(string)
    vpc                = optional(object({ subnet_ids = list(string), security_group_ids = list(string) }))
  })
}

variable "model" {
  description = "The model, what may be invoked for it, and its instructions."
  type        = object({ name = string, arns = list(string), system = string })
}

variable "mutation" {
  description = "The mutation that answers come by: sendMessage, sendChunk or publishToken."
  type        = string
  validation {
    condition     = contains(["sendMessage", "sendChunk", "publishToken"], var.mutation)
    error_message = "The mutation is sendMessage, sendChunk or publishToken."
  }
}

variable "queue" {
  description = "sns or sqs."
  type        = string
  validation {
    condition     = contains(["sns", "sqs"], var.queue)
    error_message = "Prompts are queued by sns or sqs."
  }
}

variable "authentication" {
  description = "How clients authenticate: API_KEY, AMAZON_COGNITO_USER_POOLS or AWS_IAM. The orchestrator signs in any case."
  type        = string
  validation {
    condition     = contains(["API_KEY", "AMAZON_COGNITO_USER_POOLS", "AWS_IAM"], var.authentication)
    error_message = "Clients authenticate by API_KEY, AMAZON_COGNITO_USER_POOLS or AWS_IAM."
  }
}

variable "user_pool_id" {
  description = "Of Cognito, for AMAZON_COGNITO_USER_POOLS."
  type        = string
  default     = null
  validation {
    condition     = var.authentication != "AMAZON_COGNITO_USER_POOLS" || var.user_pool_id != null
    error_message = "AMAZON_COGNITO_USER_POOLS needs a user_pool_id."
  }
}

variable "api_key_expires" {
  description = "When the API key ends, as RFC 3339 has it. Null: in a week."
  type        = string
  default     = null
}

variable "private" {
  description = "Whether the API can be reached from VPCs only."
  type        = bool
  default     = false
}

variable "timeout" {
  description = "For how many seconds the orchestrator may answer one prompt."
  type        = number
  default     = 300
}

variable "concurrency" {
  description = "How many prompts are answered at once; with sqs only."
  type        = number
  default     = 20
  validation {
    condition     = var.concurrency >= 2 && var.concurrency <= 1000
    error_message = "Between 2 and 1000 prompts are answered at once."
  }
}

variable "ledger" {
  description = "Whether a table remembers which messages have been answered."
  type        = bool
  default     = true
}
