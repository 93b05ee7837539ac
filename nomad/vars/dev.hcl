# The development cluster (make cluster). Every job takes every variable, so this file serves all:
#
#   nomad job run -var-file=nomad/vars/dev.hcl nomad/jobs/identity.nomad.hcl
#
# `make cluster` runs the jobs with them. One is missing: the trust domain of the mesh's CA, which
# each cluster makes anew (TrustDomain in Consul's /v1/connect/ca/roots):
# `eval "$(gatehouse cluster env)"` sets NOMAD_VAR_trust_domain.

# Consul's datacenter.
datacenter = "dc1"

# Goes before the name of every service in Consul, so that it is nobody else's.
service_prefix = "gatehouse-"

# Where the programs are on the hosts. Versions lie side by side: another folder rolls a job.
programs = "/opt/gatehouse/bin"

# In place of that folder: what each task downloads and unpacks for itself, and its checksum. The
# hosts here have the programs; docs/deploying.md shows others.
artifacts = {}

# Host networks: where /readyz and metrics answer, and where the gateway does.
ops_network    = "private"
public_network = "public"

# Further variables of all programs; each takes those that are meant for it. Here: whose
# X-Forwarded-For is believed, the balancer's; where clients find the platform, there too; and that
# everybody may sign up.
environment = {
  GATEHOUSE_AUTH_SIGN_UP            = "open"
  GATEHOUSE_GATEWAY_TRUSTED_PROXIES = "10.203.1.1"
  GATEHOUSE_TOKEN_ISSUER            = "https://10.203.1.1"
}
