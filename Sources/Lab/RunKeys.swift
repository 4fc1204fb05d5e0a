import Evidence
import Wire

/// A run's keys in Wireshark's format, written as soon as they are known, so that the capture of a
/// run that is killed can be read.
final class RunKeys {
    private let folder: OutputFolder?
    private let linkKeys: [(key: Key128, label: String)]
    private let names: [EUI64: String]
    /// The network keys so far, the last of them.
    private var networkKeys: [Key128] = []
    /// The link keys established so far, the last of them.
    private var established: [(key: Key128, label: String)] = []
    /// How many of each of these are kept: more than a home has devices, however often each begins
    /// anew.
    private static let limit = 1024
    /// The first thing that went wrong while a run went on.
    private(set) var trouble: EvidenceError?

    init(home: Home, folder: OutputFolder?) {
        self.folder = folder
        // A lab's own install codes are nobody else's business; the network key, which they
        // protect on its way, is known all the same.
        linkKeys = home.devices.filter { home.credentials[$0.eui64]?.installCode == nil }.map {
            ($0.installCode.linkKey, "\($0.name) install code link key")
        }
        names = Dictionary(
            home.devices.map { ($0.eui64, $0.name) }, uniquingKeysWith: { first, _ in first })
    }

    /// Writes the keys that are known before the run.
    func begin() throws(EvidenceError) { try write() }

    /// Writes them again if the network key is new.
    func learn(_ networkKey: Key128) {
        guard !networkKeys.contains(networkKey) else { return }
        if networkKeys.count == Self.limit { networkKeys.removeFirst() }
        networkKeys.append(networkKey)
        rewrite()
    }

    /// The same for a link key that a device has established with the hub.
    func learn(_ linkKey: Key128, of device: EUI64) {
        guard !established.contains(where: { $0.key == linkKey }) else { return }
        if established.count == Self.limit { established.removeFirst() }
        let name = names[device] ?? device.description
        established.append((linkKey, "\(name) established link key"))
        rewrite()
    }

    private func rewrite() {
        do {
            try write()
        } catch {
            trouble = trouble ?? error
        }
    }

    private func write() throws(EvidenceError) {
        let keys = networkKeys.map { (key: $0, label: "network key") } + linkKeys + established
        try folder?.write(WiresharkKeys.table(keys), to: .keys)
    }
}
