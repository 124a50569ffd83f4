package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What <linux/sock_diag.h>, <linux/inet_diag.h> and <linux/tcp.h> say.
const (
	groupTCPDestroy = 1  // SKNLGRP_INET_TCP_DESTROY
	byFamily        = 20 // SOCK_DIAG_BY_FAMILY
	requestSize     = 56 // struct inet_diag_req_v2
	messageSize     = 72 // struct inet_diag_msg
	// Where things are in both of them, but for the family at 0.
	portAt   = 4 // the socket's own port, big endian; 8 in the request
	sourceAt = 8 // its own address
	cookieAt = 44
	// An attribute follows the message: a struct tcp_info.
	attrInfo   = 2 // INET_DIAG_INFO
	ackedAt    = 120
	receivedAt = 128
	// Bits of the states that a connection with something to count can be in:
	// not TIME_WAIT, whose socket has been told of, nor LISTEN.
	openStates = 1<<1 | 1<<2 | 1<<4 | 1<<5 | 1<<8 | 1<<9 | 1<<11
)

// diagRoom is enough for any message of sock_diag.
const diagRoom = 64 << 10

// socket is one end of a TCP connection.
type socket struct {
	cookie uint64 // names it for ever
	bytes  int64  // sent and acknowledged, and received
}

// openDiag is a socket of sock_diag that listens to the groups.
func openDiag(flags int, groups uint32) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// openSockets lists the connections at one address that have not ended.
func openSockets(at netip.AddrPort) (all []socket, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("list connections: %w", err)
		}
	}()
	fd, err := openDiag(0, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := unix.Sendto(fd, request(at), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buf := make([]byte, diagRoom)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, parseSockets(buf[:n], at)...)
		if over, err := ends(buf[:n]); over || err != nil {
			return all, err
		}
	}
}

// request asks for the open connections at a port.
func request(at netip.AddrPort) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+requestSize)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], byFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	r := b[unix.NLMSG_HDRLEN:]
	r[0], r[1], r[2] = unix.AF_INET, unix.IPPROTO_TCP, 1<<(attrInfo-1)
	binary.NativeEndian.PutUint32(r[4:], openStates)
	binary.BigEndian.PutUint16(r[8:], at.Port())
	return b
}

// messages calls f for each netlink message in buf until it is false.
func messages(buf []byte, f func(kind uint16, body []byte) bool) {
	for len(buf) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(buf))
		if size < unix.NLMSG_HDRLEN || size > len(buf) || !f(binary.NativeEndian.Uint16(buf[4:]), buf[unix.NLMSG_HDRLEN:size]) {
			return
		}
		buf = buf[min(align(size), len(buf)):]
	}
}

// ends reports whether an answer is complete, or an error.
func ends(buf []byte) (over bool, err error) {
	messages(buf, func(kind uint16, body []byte) bool {
		over = kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR
		if over && len(body) >= 4 {
			if code := int32(binary.NativeEndian.Uint32(body)); code < 0 {
				err = unix.Errno(-code)
			}
		}
		return !over
	})
	return over, err
}

// parseSockets reads the messages about sockets at one address.
func parseSockets(buf []byte, at netip.AddrPort) (all []socket) {
	messages(buf, func(kind uint16, body []byte) bool {
		if kind == byFamily {
			if s, ok := parseSocket(body, at); ok {
				all = append(all, s)
			}
		}
		return true
	})
	return all
}

// parseSocket reads one socket's message with its attributes.
func parseSocket(msg []byte, at netip.AddrPort) (s socket, ok bool) {
	if len(msg) < messageSize || msg[0] != unix.AF_INET {
		return s, false
	}
	addr, _ := netip.AddrFromSlice(msg[sourceAt : sourceAt+4])
	if netip.AddrPortFrom(addr, binary.BigEndian.Uint16(msg[portAt:])) != at {
		return s, false
	}
	s.cookie = binary.NativeEndian.Uint64(msg[cookieAt:])
	for attrs := msg[messageSize:]; len(attrs) >= unix.SizeofRtAttr; {
		size := int(binary.NativeEndian.Uint16(attrs))
		if size < unix.SizeofRtAttr || size > len(attrs) {
			return s, false
		}
		info := attrs[unix.SizeofRtAttr:size]
		if binary.NativeEndian.Uint16(attrs[2:]) == attrInfo && len(info) >= receivedAt+8 {
			s.bytes = int64(binary.NativeEndian.Uint64(info[ackedAt:]) + binary.NativeEndian.Uint64(info[receivedAt:]))
			return s, true
		}
		attrs = attrs[min(align(size), len(attrs)):]
	}
	return s, false
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }
