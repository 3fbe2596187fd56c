package conflict

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"weftnet.io/weftnet/internal/sink/link/wire"
)

// TestAFloodHoldsNoNICUp has a wire on which there is always one more frame.
func TestAFloodHoldsNoNICUp(t *testing.T) {
	wanted := netip.MustParseAddr("10.0.0.7")
	other := net.HardwareAddr{2, 0, 0, 0, 0, 2}
	d := Device{Index: 1, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	for _, c := range []struct {
		what    string
		claimed int // number of the frame that claims the address; 0: none
		gone    int // number of the frame after which the caller has gone; 0: it stays
		heard   int
		err     error
	}{
		{"a flood", 0, 0, most, nil},
		{"a flood that hides an answer", 3000, 0, 3000, nil},
		{"a caller that goes", 0, 5, 5, context.Canceled},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		heard := 0
		found, err := rest(ctx, func() ([]byte, error) {
			if heard++; heard == c.gone {
				cancel()
			}
			if heard > 2*most {
				return nil, errors.New("it goes on for ever")
			}
			if heard == c.claimed {
				return wire.Announcement(other, wanted), nil
			}
			return wire.Announcement(other, netip.MustParseAddr("10.0.0.8")), nil
		}, d, []netip.Addr{wanted})
		cancel()
		if heard != c.heard || !errors.Is(err, c.err) || (found != nil) != (c.claimed > 0) {
			t.Errorf("%s: %d frames are heard, found %+v, %v", c.what, heard, found, err)
		}
	}
}
