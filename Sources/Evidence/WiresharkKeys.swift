import Wire

/// The keys of a run in the form in which Wireshark keeps ZigBee keys, and the command that has
/// it use them.
public enum WiresharkKeys {
    /// The content of `zigbee_pc_keys`, one key a line: `"C0:C1:…:CF","Normal","label"`.
    /// "Normal" is the byte order: first byte first.
    public static func table(_ keys: [(key: Key128, label: String)]) -> [UInt8] {
        var text: [UInt8] = []
        for (key, label) in keys {
            text.append(UInt8(ascii: "\""))
            for (index, byte) in key.bytes.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ":")) }
                text += Array(Hex.string(UInt64(byte), digits: 2).utf8)
            }
            text += Array(#"","Normal","#.utf8)
            text += quoted(label)
            text.append(0x0A)
        }
        return text
    }

    /// The shell command that opens the capture in `folder` decrypted. Wireshark takes the folder
    /// for its configuration and so finds the keys, whatever the user's own settings are.
    public static func openCommand(folder: OutputFolder, program: String = "wireshark") -> String {
        let place = shellQuoted(folder.path)
        let trace = shellQuoted(folder.path(of: .trace))
        return "WIRESHARK_CONFIG_DIR=\(place) \(program) -r \(trace)"
    }

    /// A string of Wireshark's tables: quotes, backslashes and whatever is not printable ASCII
    /// are written as `\xNN`.
    private static func quoted(_ label: String) -> [UInt8] {
        var text = [UInt8(ascii: "\"")]
        for byte in label.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0..<0x20, 0x7F...:
                text += Array((#"\x"# + Hex.string([byte])).utf8)
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
        return text
    }

    private static func shellQuoted(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: ","):
                true
            default: false
            }
        }
        if plain, !text.isEmpty { return text }
        let parts = text.split(separator: "'", omittingEmptySubsequences: false)
        return "'" + parts.joined(separator: #"'\''"#) + "'"
    }
}
