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

variable "locale" {
  description = "The language that the bot understands."
  type        = string
  default     = "en_US"
  validation {
    condition     = can(regex("^[a-z]{2}_[A-Z0-9]{2,3}$", var.locale))
    error_message = "A locale is one of Lex, such as en_US."
  }
}

variable "greeting" {
  description = "What the bot is greeted by; everything else is answered by the model, too."
  type        = string
  default     = "Hello"
}
