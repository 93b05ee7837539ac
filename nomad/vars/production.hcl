# The production site. Every job takes every variable, so this file serves all:
#
#   nomad job run -var-file=nomad/vars/production.hcl nomad/jobs/identity.nomad.hcl
#
# One is missing, the trust domain of the mesh's CA: it is the TrustDomain in Consul's
# /v1/connect/ca/roots, and goes into NOMAD_VAR_trust_domain.

# Consul's datacenter.
datacenter = "dc1"

# Goes before the name of every service in Consul, as in terraform/environments/production.
service_prefix = "gatehouse-"

# Where the programs are on the hosts. Versions lie side by side: another folder rolls a job.
programs = "/opt/gatehouse/bin"

# In place of that folder: what each task downloads and unpacks for itself, and its checksum
# (docs/deploying.md).
artifacts = {}

# Host networks: where /readyz and metrics answer, and where the gateway does.
ops_network    = "private"
public_network = "public"

# Further variables of all programs; each takes those that are meant for it. Here: whose
# X-Forwarded-For is believed, the site's balancers; these addresses are nobody's (RFC 5737). And
# the URL by which clients find the platform, which all its tokens name: where it changes, those of
# before are refused, and clients refresh theirs.
environment = {
  GATEHOUSE_GATEWAY_TRUSTED_PROXIES = "192.0.2.10,192.0.2.11"
  GATEHOUSE_TOKEN_ISSUER            = "https://id.example.com"
}
