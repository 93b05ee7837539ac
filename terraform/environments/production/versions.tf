terraform {
  required_version = ">= 1.9"

  required_providers {
    consul = {
      source  = "hashicorp/consul"
      version = ">= 2.23"
    }
    nomad = {
      source  = "hashicorp/nomad"
      version = ">= 2.6"
    }
  }

  # Where the state is, `terraform init -backend-config=...` says: another backend is another word here.
  backend "consul" {}
}

# Addresses, certificates and tokens are those of CONSUL_* and NOMAD_*, which Terraform keeps nowhere.
provider "consul" {}

provider "nomad" {}
