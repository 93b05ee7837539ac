# It has none: the names of the namespace, the jobs and the policies are fixed (ADR 0072), and a
# Nomad has one Gatehouse.
