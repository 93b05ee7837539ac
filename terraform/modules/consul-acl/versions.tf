terraform {
  required_version = ">= 1.9" # the conditions of variables name other variables

  required_providers {
    consul = {
      source  = "hashicorp/consul"
      version = ">= 2.23"
    }
  }
}
