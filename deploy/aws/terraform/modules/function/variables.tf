variable "name" {
  description = "Of the function."
  type        = string
}

variable "package" {
  description = "Its zip file."
  type        = string
}

variable "environment" {
  description = "Its environment."
  type        = map(string)
  default     = {}
}

variable "policy" {
  description = "What it may do, besides writing its log, as JSON. Null: nothing."
  type        = string
  default     = null
}

variable "has_policy" {
  description = "Whether there is a policy, which has to be known before the policy is."
  type        = bool
  default     = true
}

variable "timeout" {
  description = "In seconds."
  type        = number
  validation {
    condition     = var.timeout >= 3 && var.timeout <= 900
    error_message = "A function has between 3 and 900 seconds."
  }
}

variable "memory" {
  description = "In MB. The share of a processor follows from it."
  type        = number
  default     = 256
}

variable "common" {
  description = "What all functions have: see the variables of the root module."
  type = object({
    packages           = string
    log_retention_days = number
    alarm_topic_arns   = list(string)
    vpc                = optional(object({ subnet_ids = list(string), security_group_ids = list(string) }))
  })
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.common.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}
