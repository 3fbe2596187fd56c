package net

import (
	"weftnet.io/weftnet/internal/nettest/ethtool"
)

var deviceCommands = map[string]command{"offload": offload}

// offload turns a feature of a device on or off.
func offload(l *line) error {
	feature, ok := map[string]ethtool.Feature{"tx": ethtool.Checksums, "gro": ethtool.Batches}[l.arg(2)]
	on := l.arg(3) == "on"
	if !ok || !on && l.arg(3) != "off" {
		return errUsage
	}
	set := func() error { return ethtool.Set(l.arg(1), feature, on) }
	if l.arg(0) == "wire" {
		return l.Wire().Do(set)
	}
	s, err := l.station(l.arg(0))
	if err != nil {
		return err
	}
	return s.Namespace.Do(set)
}
