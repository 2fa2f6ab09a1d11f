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
  description = "Who may call: AWS_IAM, for those who sign and may do lambda:InvokeFunctionUrl, or TOKEN, by which the function asks itself."
  type        = string
  validation {
    condition     = contains(["AWS_IAM", "TOKEN"], var.authentication)
    error_message = "Callers authenticate by AWS_IAM or TOKEN: a URL that everybody may call is everybody's bill."
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

variable "origins" {
  description = "Web origins whose pages may call."
  type        = list(string)
  default     = []
}

variable "timeout" {
  description = "For how many seconds one prompt may be answered."
  type        = number
  default     = 300
}
