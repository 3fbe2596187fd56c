package config

import (
	"time"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Lives is the Source of how long connections are remembered: variable lives of bpf/lib/lives.h.
func Lives(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
	return "lives", nil, func(r state.Reader) any { return LivesOf(t.Config(r).Lives) }
}

// LivesOf are the lives that the configuration gives, else the defaults. A life of datagrams also counts for those without an answer.
func LivesOf(l settings.Lives) abi.CtLives {
	or := func(d time.Duration, otherwise uint32) uint32 {
		if d > 0 {
			return uint32(d / time.Second)
		}
		return otherwise
	}
	return abi.CtLives{
		TcpOpen:     [2]uint32{or(l.TCP, abi.CtTcpOpenSeconds), or(l.ServiceTCP, abi.CtTcpOpenSeconds)},
		TcpClosing:  [2]uint32{or(l.TCPClosing, abi.CtTcpClosingSeconds), or(l.ServiceClosing, abi.CtTcpClosingSeconds)},
		Datagram:    [2]uint32{or(l.Datagrams, abi.CtDatagramSeconds), or(l.ServiceDatagrams, abi.CtDatagramSeconds)},
		DatagramNew: [2]uint32{or(l.Datagrams, abi.CtDatagramNewSeconds), or(l.ServiceDatagrams, abi.CtDatagramNewSeconds)},
		TcpOpening:  or(l.TCPOpening, abi.CtTcpOpeningSeconds),
	}
}
