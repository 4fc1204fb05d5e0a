import Wire

/// The GBCS messages that are on their way in a home: they are in memories and on the air, which a
/// kill of the head end clears, and no power cut of the field's. They are kept beside the flash, so
/// that a world which begins again has them where they were. Whoever has got one already, and whose
/// word of it was on its way, knows it by its counter.
public struct MessagesUnderway: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public enum Place: UInt8, Sendable {
            /// With the device that says it.
            case device = 1
            /// Between the CSP and the device that it is for.
            case toDevice
            /// Between the hub and the CSP.
            case toCSP
        }

        public var place: Place
        /// As which the device exchanges messages; of no meaning on the way to the CSP.
        public var device: EUI64
        /// Of the message, at most 65,535.
        public var bytes: [UInt8]

        public init(place: Place, device: EUI64, bytes: [UInt8]) {
            self.place = place
            self.device = device
            self.bytes = bytes
        }
    }

    public var entries: [Entry] = []

    /// Each entry: place u8, device u64 and length u16, little-endian, the message.
    public var bytes: [UInt8] {
        var builder = ByteBuilder()
        for entry in entries {
            builder.put(UInt64(entry.place.rawValue), 1)
            builder.put(entry.device.rawValue, 8)
            builder.put(UInt64(entry.bytes.count), 2)
            builder.put(entry.bytes)
        }
        return builder.bytes
    }

    public init() {}

    /// Throws for bytes that are no such list.
    public init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes.span)
        while reader.remaining > 0 {
            let offset = reader.offset
            guard let place = Entry.Place(rawValue: try reader.u8("place")) else {
                throw WireError(.invalid, "place", at: offset)
            }
            let device = EUI64(try reader.u64("device"))
            let count = Int(try reader.u16("length"))
            entries.append(
                Entry(place: place, device: device, bytes: try reader.bytes(count, "message")))
        }
    }
}
