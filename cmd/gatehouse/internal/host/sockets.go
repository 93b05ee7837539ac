package host

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Listener is one listening TCP socket or bound, unconnected UDP socket, as /proc has it.
type Listener struct {
	Network string // "tcp" or "udp"
	Address netip.AddrPort
	inode   string
}

// Process is one running process.
type Process struct {
	PID     int
	Command string // name of its executable
}

// ListenersOf returns the listeners that a process holds open. It needs to be the process's user or
// root.
func ListenersOf(pid int) ([]Listener, error) {
	open, err := inodes(pid)
	if err != nil {
		return nil, fmt.Errorf("list the sockets of process %d: %w", pid, err)
	}
	all, err := listeners("/proc/net")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(l Listener) bool { return !open[l.inode] }), nil
}

// ListenersAround returns the listeners of the network that a process is in, whosever they are. It
// needs to be the process's user or root.
func ListenersAround(pid int) ([]Listener, error) {
	return listeners(filepath.Join("/proc", strconv.Itoa(pid), "net"))
}

// Owner returns the process that listens on a TCP port; its PID is 0 when this user may not know.
func Owner(port int) (Process, error) {
	all, err := listeners("/proc/net")
	if err != nil {
		return Process{}, err
	}
	wanted := map[string]bool{}
	for _, l := range all {
		if l.Network == "tcp" && int(l.Address.Port()) == port {
			wanted[l.inode] = true
		}
	}
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return Process{}, fmt.Errorf("list processes: %w", err)
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		open, err := inodes(pid)
		if err != nil {
			continue // another user's, or gone
		}
		for inode := range open {
			if wanted[inode] {
				name, err := os.ReadFile(filepath.Join(folder, "comm"))
				return Process{PID: pid, Command: strings.TrimSpace(string(name))}, err
			}
		}
	}
	return Process{}, nil
}

// inodes are the sockets that a process holds open.
func inodes(pid int) (map[string]bool, error) {
	folder := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	open := map[string]bool{}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(folder, entry.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			open[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return open, nil
}

// listeners reads the tables of a folder such as /proc/net.
func listeners(folder string) ([]Listener, error) {
	var all []Listener
	for _, table := range []struct{ file, network, state string }{{"tcp", "tcp", "0A"}, {"tcp6", "tcp", "0A"}, {"udp", "udp", "07"}, {"udp6", "udp", "07"}} {
		path := filepath.Join(folder, table.file)
		rows, err := read(path, table.network, table.state)
		if os.IsNotExist(err) && strings.HasSuffix(path, "6") {
			continue // no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, rows...)
	}
	return all, nil
}

func read(path, network, state string) ([]Listener, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var rows []Listener
	scan := bufio.NewScanner(f)
	scan.Scan() // heading
	for scan.Scan() {
		fields := strings.Fields(scan.Text())
		if len(fields) < 10 || fields[3] != state {
			continue
		}
		address, err := parseAddress(fields[1])
		if err != nil {
			return nil, err
		}
		rows = append(rows, Listener{Network: network, Address: address, inode: fields[9]})
	}
	return rows, scan.Err()
}

// parseAddress reads "0100007F:1F90": the address in 32-bit words of host byte order (little-endian
// on every machine we run on), the port in hexadecimal.
func parseAddress(text string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("no socket address: %q", text)
	}
	for word := 0; word < len(raw); word += 4 {
		slices.Reverse(raw[word : word+4])
	}
	address, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("no socket address: %q", text)
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), nil
}
