"""Instance types that come with the studio.

Azure's names, sizes and list prices (USD per hour, Linux, pay as you go, eastus); types whose price is not known are left out.
`Local_<vCPU>x<GiB>` are this studio's own and cost nothing unless somebody sets a rate. An administrator may edit prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

GIB = 1024**3


@dataclass(frozen=True)
class Size:
    """One line of the catalogue; memory in GiB, price in USD per hour."""

    name: str
    vcpu: str
    memory_gib: str
    price_per_hour: str
    gpu_count: int = 0
    gpu_name: str = ""
    skips_reserve: bool = False

    def columns(self) -> dict[str, object]:
        """As columns of an InstanceType."""
        return {
            "vcpu": Decimal(self.vcpu),
            "memory_bytes": int(Decimal(self.memory_gib) * GIB),
            "price_per_hour": Decimal(self.price_per_hour),
            "gpu_count": self.gpu_count,
            "gpu_name": self.gpu_name,
            "skips_reserve": self.skips_reserve,
        }


LOCAL = (
    Size("Local_0.5x0.5", "0.5", "0.5", "0"),
    Size("Local_1x1", "1", "1", "0"),
    Size("Local_1x2", "1", "2", "0"),
    Size("Local_2x4", "2", "4", "0"),
    Size("Local_4x8", "4", "8", "0"),
    Size("Local_8x16", "8", "16", "0"),
)
GENERAL = (
    Size("Standard_DS1_v2", "1", "3.5", "0.073"),
    Size("Standard_DS2_v2", "2", "7", "0.146"),
    Size("Standard_DS3_v2", "4", "14", "0.293"),
    Size("Standard_DS4_v2", "8", "28", "0.585"),
    Size("Standard_DS5_v2", "16", "56", "1.17"),
    Size("Standard_D2as_v4", "2", "8", "0.096"),
    Size("Standard_D2a_v4", "2", "8", "0.096"),
    Size("Standard_D4as_v4", "4", "16", "0.192"),
    Size("Standard_D8as_v4", "8", "32", "0.384"),
    Size("Standard_D16as_v4", "16", "64", "0.768"),
    Size("Standard_D32as_v4", "32", "128", "1.536"),
    Size("Standard_D48as_v4", "48", "192", "2.304"),
    Size("Standard_D64as_v4", "64", "256", "3.072"),
    Size("Standard_D96as_v4", "96", "384", "4.608"),
    Size("Standard_E2s_v3", "2", "16", "0.126"),
    Size("Standard_E4s_v3", "4", "32", "0.252"),
    Size("Standard_E8s_v3", "8", "64", "0.504"),
    Size("Standard_E16s_v3", "16", "128", "1.008"),
    Size("Standard_E32s_v3", "32", "256", "2.016"),
    Size("Standard_E48s_v3", "48", "384", "3.024"),
    Size("Standard_E64s_v3", "64", "432", "4.032"),
    Size("Standard_F2s_v2", "2", "4", "0.0846"),
    Size("Standard_F4s_v2", "4", "8", "0.169"),
    Size("Standard_F8s_v2", "8", "16", "0.338"),
    Size("Standard_F16s_v2", "16", "32", "0.677"),
    Size("Standard_F32s_v2", "32", "64", "1.353"),
    Size("Standard_F48s_v2", "48", "96", "2.03"),
    Size("Standard_F64s_v2", "64", "128", "2.706"),
    Size("Standard_F72s_v2", "72", "144", "3.045"),
    Size("Standard_FX4mds", "4", "84", "0.372"),
    Size("Standard_FX12mds", "12", "252", "1.116"),
    Size("Standard_FX24mds", "24", "504", "2.232"),
    Size("Standard_FX36mds", "36", "756", "3.348"),
    Size("Standard_FX48mds", "48", "1008", "4.464"),
)
ACCELERATED = (
    Size("Standard_NC4as_T4_v3", "4", "28", "0.526", 1, "T4"),
    Size("Standard_NC8as_T4_v3", "8", "56", "0.752", 1, "T4"),
    Size("Standard_NC64as_T4_v3", "64", "440", "4.352", 4, "T4"),
    Size("Standard_NC6s_v3", "6", "112", "3.06", 1, "V100"),
    Size("Standard_NC12s_v3", "12", "224", "6.12", 2, "V100"),
    Size("Standard_NC24s_v3", "24", "448", "12.24", 4, "V100"),
    Size("Standard_NC24ads_A100_v4", "24", "220", "3.673", 1, "A100 80 GB", True),
    Size("Standard_NC48ads_A100_v4", "48", "440", "7.346", 2, "A100 80 GB", True),
    Size("Standard_NC96ads_A100_v4", "96", "880", "14.692", 4, "A100 80 GB", True),
    Size("Standard_NC40ads_H100_v5", "40", "320", "6.98", 1, "H100", True),
    Size("Standard_NC80adis_H100_v5", "80", "640", "13.96", 2, "H100", True),
    Size("Standard_ND40rs_v2", "40", "672", "22.032", 8, "V100", True),
    Size("Standard_ND96asr_v4", "96", "900", "27.197", 8, "A100 40 GB", True),
    Size("Standard_ND96amsr_A100_v4", "96", "1800", "32.77", 8, "A100 80 GB", True),
    Size("Standard_ND96isr_H100_v5", "96", "1900", "98.32", 8, "H100", True),
    Size("Standard_ND96is_H100_v5", "96", "1900", "88.488", 8, "H100", True),
    Size("Standard_NV36ads_A10_v5", "36", "440", "3.20", 1, "A10"),
    Size("Standard_NV36adms_A10_v5", "36", "880", "4.52", 1, "A10"),
    Size("Standard_NV72ads_A10_v5", "72", "880", "6.52", 2, "A10"),
)
CATALOGUE = LOCAL + GENERAL + ACCELERATED
