package watcher

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	fanMetaLen = 24
	fanInfoLen = 4
	fanFidLen  = fanInfoLen + 8 // header and filesystem id; the handle follows
	// maxHandle is the kernel's limit of a file handle's opaque part.
	maxHandle = 128
)

// fanDecoder takes fanotify records apart. A record is
//
//	event_len u32 | vers u8 | reserved u8 | metadata_len u16 | mask u64 | fd s32 | pid s32
//
// and then, up to event_len, infos of
//
//	type u8 | pad u8 | len u16 | fsid 8 B | handle_bytes u32 | handle_type s32 | handle | name NUL
//
// all in the machine's byte order. The eight bytes before the handle are kept
// with it: together they are a struct file_handle. The filesystem id is not
// kept: a group has one filesystem, and copies of one image share the id.
type fanDecoder struct {
	ring  *ring
	count *counters
	s     slot
	p     payload
}

// decode pushes all records of buf.
func (d *fanDecoder) decode(buf []byte, now int64) {
	var read, nameless uint64
	for len(buf) > 0 {
		if len(buf) < fanMetaLen {
			d.ring.control(slotBad, now, 0)
			break
		}
		n := binary.NativeEndian.Uint32(buf)
		if n < fanMetaLen || uint64(n) > uint64(len(buf)) {
			d.ring.control(slotBad, now, 0)
			break
		}
		read++
		switch d.record(buf[:n]) {
		case recordGood:
			d.s.time = now
			d.ring.push(&d.s, &d.p)
		case recordNameless:
			nameless++
		case recordOverflow:
			d.ring.control(slotOverflow, now, 0)
		case recordBad:
			d.ring.control(slotBad, now, 0)
		}
		buf = buf[n:]
	}
	d.count.read.Add(read)
	d.count.nameless.Add(nameless)
}

type recordState uint8

const (
	recordBad recordState = iota
	recordGood
	recordNameless
	recordOverflow
)

// record takes one record apart into d.s and d.p, which alias rec.
func (d *fanDecoder) record(rec []byte) recordState {
	meta := int(binary.NativeEndian.Uint16(rec[6:]))
	if rec[4] != unix.FANOTIFY_METADATA_VERSION || meta < fanMetaLen || meta > len(rec) {
		return recordBad
	}
	d.s = slot{mask: binary.NativeEndian.Uint64(rec[8:])}
	d.p = payload{}
	if d.s.mask&unix.FAN_Q_OVERFLOW != 0 {
		return recordOverflow
	}
	for info := rec[meta:]; len(info) > 0; {
		if len(info) < fanInfoLen {
			return recordBad
		}
		n := int(binary.NativeEndian.Uint16(info[2:]))
		if n < fanInfoLen || n > len(info) {
			return recordBad
		}
		if !d.info(info[0], info[:n]) {
			return recordBad
		}
		info = info[n:]
	}
	if d.p[partDir] == nil && d.p[partNewDir] == nil {
		return recordNameless
	}
	return recordGood
}

// info takes one info apart; it reports false if it is malformed. Unknown
// types are skipped.
func (d *fanDecoder) info(typ byte, info []byte) bool {
	dir, name := -1, -1
	switch typ {
	case unix.FAN_EVENT_INFO_TYPE_FID:
		dir = partChild
	case unix.FAN_EVENT_INFO_TYPE_DFID:
		dir = partDir
	case unix.FAN_EVENT_INFO_TYPE_DFID_NAME, unix.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
		dir, name = partDir, partName
	case unix.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
		dir, name = partNewDir, partNewName
	default:
		return true
	}
	if len(info) < fanFidLen+8 {
		return false
	}
	info = info[fanFidLen:]
	n := binary.NativeEndian.Uint32(info)
	if n > maxHandle || int(n)+8 > len(info) {
		return false
	}
	d.p[dir] = info[: 8+n : 8+n]
	if name < 0 {
		return true
	}
	info = info[8+n:]
	end := bytes.IndexByte(info, 0)
	if end <= 0 || end > 255 || bytes.IndexByte(info[:end], '/') >= 0 {
		return false
	}
	d.p[name] = info[:end:end]
	return true
}
