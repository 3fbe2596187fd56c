// Package called reads which sockets were led to which backends of services: map socket_services, which programs at sockets write.
//
// # The world it models
//
// A row has the backend, which is what the socket speaks with, and the address of the service that its process has called.
//
// The map forgets what was used longest ago, and nothing is taken out when a socket is closed: a row says that a socket was led to a backend,
// not that it is there.
//
// # Invariants
//
//   - A row that programs change meanwhile may be there twice, or not at all: the next reading has it.
//
// # Example
//
//	sockets, err := called.Read(datapath.Map("socket_services"))
package called

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/lb/orphan"
)

// atOnce is how many rows are read by one system call.
const atOnce = 1024

// Read gives all rows.
func Read(m *ebpf.Map) (list []orphan.Led, err error) {
	keys, values := make([]abi.SocketKey, atOnce), make([]abi.SocketService, atOnce)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			list = append(list, orphan.Led{Socket: orphan.Socket{Cookie: keys[i].Cookie, Backend: orphan.Backend{
				At: netip.AddrPortFrom(keys[i].Addr.IP(), keys[i].Port.Number()), Protocol: values[i].Protocol,
			}}, Service: netip.AddrPortFrom(values[i].Addr.IP(), values[i].Port.Number())})
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return list, nil
		case err != nil:
			return list, fmt.Errorf("read map socket_services: %w", err)
		}
	}
}
