import Air
import Crypto
import DCC
import Devices
import GBCS
import Radio
import Wire

/// A virtual home as its file says (`Profiles/homes/`): one hub, its devices, their keys, and the
/// air between them.
public struct Home: Sendable {
    public var name: String
    public var title: String
    /// The 2.4 GHz channels in use, 11-26, in order of preference.
    public var channels: [UInt8]
    public var hub: HomeHub
    /// In the file's order, which is the roster's order after the hub.
    public var devices: [HomeDevice]
    /// How the devices come to the link keys that they share with the hub.
    public var keyEstablishment = HomeKeyEstablishment.suite2
    /// Those that stay on their install codes' link keys nevertheless: such as programs of others
    /// in their places.
    public var installCodeDevices: Set<EUI64> = []

    /// What members and remote parties have instead of what follows from the run's seed.
    public internal(set) var credentials: [EUI64: MemberCredentials] = [:]
    /// And what remote parties, and members whose private keys are known, have of a key store;
    /// `credentials` go before it.
    public internal(set) var messageKeys = KeyStore()

    /// Has these members, where they are devices, stay on their install codes' link keys.
    public mutating func keepInstallCodes(of names: [String]) {
        installCodeDevices.formUnion(
            devices.filter { names.contains($0.name) }.map(\.eui64))
    }
    /// The link between any two members without one of their own.
    public var commonLink: Link
    public var links: [HomeLink]
    public var air: AirSettings
    /// The DCC's, whose CSP serves the hub.
    public var region = Home.usualRegion

    public static let usualRegion = "North"
    /// Responsible for devices of which the home says nothing else.
    public static let usualSupplierID = EUI64(0x90B3_D51F_3001_0000)

    public init(name: String, title: String, hub: HomeHub, devices: [HomeDevice]) {
        self.name = name
        self.title = title
        channels = [11, 14, 15, 19, 20, 24, 25]
        self.hub = hub
        self.devices = devices
        commonLink = Link(rssi: -60)
        links = []
        air = AirSettings()
    }
}

/// The home's hub: its profile and what makes it this one.
public struct HomeHub: Sendable {
    /// `CH`
    public var name: String
    public var profile: HubProfile
    public var eui64: EUI64
    /// The firmware it starts with.
    public var firmware: UInt32
    /// Whoever signs the hub's own images: the WAN provider (assumption: GBCS does not say how).
    public var signer: P256.PublicKey?
    /// The CHF's id in GBCS messages; the GPF's is the EUI-64, which is that of the HAN interface.
    public var chf: EUI64
    /// What the DCC's inventory has of it to begin with.
    public var status = DeviceStatus.commissioned

    public init(
        name: String, profile: HubProfile, eui64: EUI64, firmware: UInt32,
        signer: P256.PublicKey?, chf: EUI64? = nil
    ) {
        self.chf = chf ?? Self.usualCHF(eui64)
        self.name = name
        self.profile = profile
        self.eui64 = eui64
        self.firmware = firmware
        self.signer = signer
    }

    /// assumption: a maker gives a hub two ids that differ in one bit; `hub.chf`.
    public static func usualCHF(_ eui64: EUI64) -> EUI64 { EUI64(eui64.rawValue ^ 0x80) }
}

/// One device of a home: its profile and what makes it this one.
public struct HomeDevice: Sendable {
    /// Unique in the home: the role, or the role and a number (`ESME`, `ESME-2`).
    public var name: String
    public var profile: DeviceProfile
    public var eui64: EUI64
    public var installCode: InstallCode
    /// The firmware it starts with.
    public var firmware: UInt32
    /// The supplier whose signature it trusts; nil for a PPMID, which holds no such credentials.
    public var supplier: P256.PublicKey?
    /// Whether the hub's device log has it from the start.
    public var isLogged = true
    /// What the DCC's inventory has of it to begin with.
    public var status = DeviceStatus.commissioned
    /// Who may update it.
    public var supplierID = Home.usualSupplierID

    public init(
        name: String, profile: DeviceProfile, eui64: EUI64, installCode: InstallCode,
        firmware: UInt32, supplier: P256.PublicKey?
    ) {
        self.name = name
        self.profile = profile
        self.eui64 = eui64
        self.installCode = installCode
        self.firmware = firmware
        self.supplier = supplier
    }
}

/// A link between two members by name that is not the common one.
public struct HomeLink: Sendable, Equatable {
    public var from: String
    public var to: String
    public var link: Link
    /// Only from `from` to `to`; otherwise both ways.
    public var isOneWay: Bool

    public init(from: String, to: String, link: Link, isOneWay: Bool = false) {
        self.from = from
        self.to = to
        self.link = link
        self.isOneWay = isOneWay
    }
}
