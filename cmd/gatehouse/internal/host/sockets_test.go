package host_test

import (
	"net"
	"os"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
)

func TestOfFindsWhatThisProcessListensOn(t *testing.T) {
	loopback, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = loopback.Close() }()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = udp.Close() }()
	open := []string{loopback.Addr().String(), udp.LocalAddr().String()}
	if everywhere, err := net.Listen("tcp6", "[::1]:0"); err == nil { // a machine may lack IPv6
		defer func() { _ = everywhere.Close() }()
		open = append(open, everywhere.Addr().String())
	}
	found, err := host.ListenersOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	around, err := host.ListenersAround(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range open {
		if !slices.ContainsFunc(around, func(l host.Listener) bool { return l.Address.String() == address }) {
			t.Errorf("%s is not among those of the network, %v", address, around)
		}
		i := slices.IndexFunc(found, func(l host.Listener) bool { return l.Address.String() == address })
		if i < 0 {
			t.Errorf("%s is not among %v", address, found)
		} else if !found[i].Address.Addr().IsLoopback() {
			t.Errorf("%s is not seen as loopback", address)
		}
	}
}

func TestTheNetworkOfNobody(t *testing.T) {
	if found, err := host.ListenersAround(1 << 30); err == nil {
		t.Errorf("found %v", found)
	}
}

func TestOwner(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	owner, err := host.Owner(listener.Addr().(*net.TCPAddr).Port)
	if err != nil || owner.PID != os.Getpid() || owner.Command == "" {
		t.Errorf("%+v, %v, want this process", owner, err)
	}
}
