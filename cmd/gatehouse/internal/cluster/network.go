package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
)

// Network are the addresses of a cluster: of two subnets, in the first of which hosts talk to each
// other, and in the second of which clients come from the site's balancer to the hosts.
type Network struct{ private, public netip.Prefix }

// Last numbers of addresses in both subnets.
const (
	siteNumber     = 1
	serverNumber   = 11
	clientNumber   = 20  // and the number of the client
	operatorNumber = 254 // this machine
)

// subnetBits is the length of a subnet's prefix.
const subnetBits = 24

// linkName is this machine's way to the cluster, the only link that it gets.
const linkName = "gatehouse0"

// ParseNetwork reads a range such as 10.203.0.0/23 and divides it into the two subnets.
func ParseNetwork(text string) (Network, error) {
	whole, err := netip.ParsePrefix(text)
	if err != nil || !whole.Addr().Is4() || whole.Bits() != subnetBits-1 || whole.Masked() != whole {
		return Network{}, fmt.Errorf("%q is not a range that can be used: give 512 private IPv4 addresses, such as --network=10.203.0.0/23", text)
	}
	raw := whole.Addr().As4()
	raw[2]++
	return Network{private: netip.PrefixFrom(whole.Addr(), subnetBits), public: netip.PrefixFrom(netip.AddrFrom4(raw), subnetBits)}, nil
}

// String is the range as it was given.
func (n Network) String() string { return fmt.Sprintf("%s/%d", n.private.Addr(), subnetBits-1) }

func number(subnet netip.Prefix, last byte) netip.Addr {
	raw := subnet.Addr().As4()
	raw[3] = last
	return netip.AddrFrom4(raw)
}

// CheckFree refuses a range that this machine has addresses of, and a machine with the cluster's link.
func (n Network) CheckFree() error {
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list the network links of this machine: %w", err)
	}
	if slices.ContainsFunc(links, func(link net.Interface) bool { return link.Name == linkName }) {
		return fmt.Errorf("this machine has a link %s already, of another cluster or of one whose state folder is lost: end that one with `gatehouse cluster down`, or remove the link with `ip link delete %s`", linkName, linkName)
	}
	return n.checkAddresses(links)
}

func (n Network) checkAddresses(links []net.Interface) error {
	for _, link := range links {
		addresses, err := link.Addrs()
		if err != nil {
			return fmt.Errorf("list the addresses of %s: %w", link.Name, err)
		}
		for _, address := range addresses {
			used, err := netip.ParsePrefix(address.String())
			if err == nil && (used.Overlaps(n.private) || used.Overlaps(n.public)) {
				return fmt.Errorf("the range %s is in use: %s has the address %s: choose another with --network, such as 10.207.0.0/23", n, link.Name, used)
			}
		}
	}
	return nil
}

// addresses are the lines for `ip` that give a link its addresses in both subnets.
func (n Network) addresses(link string, last byte) []string {
	return []string{
		fmt.Sprintf("address add %s/%d dev %s", number(n.private, last), subnetBits, link),
		fmt.Sprintf("address add %s/%d dev %s", number(n.public, last), subnetBits, link),
		fmt.Sprintf("link set %s up", link),
	}
}

// siteLines set up the switch in the site's own namespace.
func (n Network) siteLines() []string {
	return append([]string{"link set lo up", "link add switch type bridge"}, n.addresses("switch", siteNumber)...)
}

// hostLines set up a host's link.
func (n Network) hostLines(last byte) []string {
	return append([]string{"link set lo up"}, append(n.addresses("eth0", last), fmt.Sprintf("route add default via %s", number(n.private, siteNumber)))...)
}

// plug connects a host with the switch of the site.
func plug(ctx context.Context, site, first int, name string) error {
	return host.Configure(ctx, &site,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", port(name), first),
		fmt.Sprintf("link set %s master switch up", port(name)))
}

// plugMachine connects this machine with the switch.
func (n Network) plugMachine(ctx context.Context, site int) error {
	if err := host.Configure(ctx, nil, fmt.Sprintf("link add %s type veth peer name machine netns %d", linkName, site)); err != nil {
		return err
	}
	if err := host.Configure(ctx, &site, "link set machine master switch up"); err != nil {
		return err
	}
	return host.Configure(ctx, nil, n.addresses(linkName, operatorNumber)...)
}

// port is the name of a host's port at the switch. Links have names of at most 15 characters.
func port(name string) string { return "to-" + strings.TrimPrefix(name, "gatehouse-") }
