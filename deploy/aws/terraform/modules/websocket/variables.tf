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

variable "authentication" {
  description = "Who may connect: TOKEN (in ?token=), AWS_IAM (a signed URL) or NONE."
  type        = string
  validation {
    condition     = contains(["TOKEN", "AWS_IAM", "NONE"], var.authentication)
    error_message = "Clients authenticate by TOKEN, AWS_IAM or NONE."
  }
}

variable "callers" {
  description = "Whose tokens and API keys count, for TOKEN."
  type        = object({ issuer = string, client_ids = list(string), api_key_hashes = list(string) })
  default     = { issuer = "", client_ids = [], api_key_hashes = [] }
  validation {
    condition     = var.authentication != "TOKEN" || length(var.callers.api_key_hashes) > 0 || (var.callers.issuer != "" && length(var.callers.client_ids) > 0)
    error_message = "TOKEN needs api_key_hashes, or an issuer with client_ids."
  }
}

variable "stage" {
  description = "The stage's name, in the URL."
  type        = string
  default     = "prod"
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.stage))
    error_message = "A stage has up to 128 letters, digits, hyphens and underscores."
  }
}

variable "table" {
  description = "A table that $connect notes the session's connection in. Null: none."
  type        = object({ name = string, arn = string })
  default     = null
}

variable "timeout" {
  description = "For how many seconds one prompt may be answered."
  type        = number
  default     = 300
}

variable "rate" {
  description = "How many messages a second the API takes, and half as many more at once."
  type        = number
  default     = 100
}
