# What the Nomad client of a node may do by itself. Generated; do not edit.

agent "${node}" {
  policy = "read"
}

# To take out those that have ended. Where jobs of others have services too, it is the prefix of
# all: "".
service_prefix "${service_prefix}" {
  policy = "write"
}
