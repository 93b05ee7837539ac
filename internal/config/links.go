package config

import "regexp"

// serviceLink reports whether Kubernetes made a variable: it tells every pod of the Services in its
// namespace, and one that is named gatehouse, or gatehouse-something, gives names that look like
// ours. Name and value must have exactly such a form.
func serviceLink(name, value string) bool {
	for _, form := range linkForms() {
		if form[0].MatchString(name) && form[1].MatchString(value) {
			return true
		}
	}
	return false
}

// linkForms are pairs of a name's and a value's form, for a Service and each of its ports
// (Kubernetes manual, "Service", "Environment variables").
func linkForms() [][2]*regexp.Regexp {
	const service, port, address, number = `^GATEHOUSE(_[A-Z0-9_]+)?`, `_PORT_\d+_(TCP|UDP|SCTP)`, `^(\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f.:]+)$`, `^\d+$`
	forms := [][2]string{
		{`_SERVICE_HOST$`, address},
		{`_SERVICE_PORT(_[A-Z0-9_]+)?$`, number},
		{`_PORT$`, `^(tcp|udp|sctp)://`},
		{port + `$`, `^(tcp|udp|sctp)://`},
		{port + `_PROTO$`, `^(tcp|udp|sctp)$`},
		{port + `_PORT$`, number},
		{port + `_ADDR$`, address},
	}
	var all [][2]*regexp.Regexp
	for _, form := range forms {
		all = append(all, [2]*regexp.Regexp{regexp.MustCompile(service + form[0]), regexp.MustCompile(form[1])})
	}
	return all
}
